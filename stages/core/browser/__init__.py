"""The local server of annotate and view, and its page.

It serves one user on one machine: 127.0.0.1 only, behind a token. Modules that import starlette
are loaded only by :func:`stages.core.browser.server.serve`.
"""
