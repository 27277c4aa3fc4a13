"""Calls and reports over HTTP: one POST each, on a connection of its own.

The one question everything here serves is whether the request has left. Until the last look has passed it surely
hasn't; from then on nothing but a status line is an answer.

| module | is about |
|---|---|
| `lookup` | the addresses that a name stands for, and which of them may be dialled |
| `connection` | the connection that asks once more before it hands itself over |
| `listening` | the status line, whatever comes after it |
| `posting` | the request, its answer, and the words for what went wrong |

aiohttp is imported in this package alone, since it takes long to load.
"""
