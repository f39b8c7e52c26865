"""The HTTP/1.1 clients of the data path, behind one seam: our own, and aiohttp's.

Ours is the default: it costs a third of aiohttp's CPU for a request, and none of its memory.
Both pass the same tests, and whoever finds a fault in one has the other (`EP_HTTP_CLIENT`).

| file | what |
|---|---|
| `seam.py` | what the rest of the proxy sees of either |
| `options.py` | which of the two, and the forward proxies, by the environment |
| `headers.py`, `targets.py` | header fields and URLs, checked and encoded once |
| `proxies.py` | forward proxies: `HTTPS_PROXY` and the like, `NO_PROXY` |
| `failures.py` | what is said of a provider that is not reached, or breaks off |
| `giving_up.py` | the end of a connection of which not all was sent |
| `over_aiohttp.py` | aiohttp as one of the two |
| `native.py` | our own: requests and answers |
| `connection.py` | one connection: bytes to answers, and back-pressure both ways |
| `pool.py` | the idle connections to one server |
| `dialing.py`, `tunnels.py`, `tls.py` | names, addresses, forward proxies, TLS |
| `silence.py` | sockets on which nothing is said for minutes |
| `decoding.py` | bodies that are compressed although nobody asked for it |
"""
