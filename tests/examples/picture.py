"""An image in the question: inside the request, so that any provider can be asked."""

import base64
import struct
import sys
import zlib

from openai import OpenAI


def main() -> None:
    png = open(sys.argv[1], "rb").read() if len(sys.argv) > 1 else red_square()  # noqa: SIM115
    url = f"data:image/png;base64,{base64.b64encode(png).decode()}"
    answer = OpenAI().chat.completions.create(
        model="reviewer",
        messages=[
            {
                "role": "user",
                "content": [
                    {"type": "text", "text": "What is in this picture?"},
                    {"type": "image_url", "image_url": {"url": url}},
                ],
            }
        ],
    )
    print(answer.choices[0].message.content)


def red_square(side: int = 16) -> bytes:
    """Return a small PNG, for runs without a file."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        checksum = zlib.crc32(kind + data)
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", checksum)

    rows = (b"\0" + b"\xff\0\0" * side) * side
    header = struct.pack(">IIBBBBB", side, side, 8, 2, 0, 0, 0)
    return (
        b"\x89PNG\r\n\x1a\n"
        + chunk(b"IHDR", header)
        + chunk(b"IDAT", zlib.compress(rows))
        + chunk(b"IEND", b"")
    )


if __name__ == "__main__":
    main()
