"""Sans-I/O translation between OpenAI's chat-completions wire format and the providers' own APIs.

Nothing here does I/O, reads a clock or loads a vendor's SDK: bytes and values in,
bytes and values out.
"""
