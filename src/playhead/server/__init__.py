"""The process: listening, HTTP/1.1 on sockets, graceful shutdown, several workers on one port.

Only the command line uses it; it gets an ASGI application and knows no rules.
"""
