"""Calls and reports over HTTP: one POST each, on a connection of its own.

The package must always know whether a request may have been sent. Before the last look has passed, nothing is sent.
After it, the request counts as sent, and only a status line is an answer.

| Module | Does |
|---|---|
| `lookup` | resolves a host's name, and checks which of its addresses may be dialled |
| `connection` | opens a connection, and takes the last look before the request is written |
| `listening` | finds an answer's status line and its end, in the bytes that have come |
| `reading` | reads its headers and its body, leniently |
| `unpacking` | removes the codings of a body |
| `posting` | sends the request, and names the reason of a failure |

Only this package imports aiohttp, because aiohttp takes long to load.
"""
