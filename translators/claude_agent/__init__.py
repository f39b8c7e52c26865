"""The dialect of Claude's command line, as the Claude Agent SDK talks to it."""
