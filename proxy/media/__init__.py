"""Media that a request names by address, fetched for providers that would not do it.

A client decides where the server connects to: everything here is written against that.
`addresses` says what may be connected to, `download` connects to it, `fetcher` holds the limits.
"""
