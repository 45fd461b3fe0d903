"""`python -m tglcli`, for launchers that start a module: `torchrun -m tglcli train ...`."""

from tglcli.main import main

main()
