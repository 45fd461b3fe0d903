"""What evaluation servers expect of a submission, and checking one."""
