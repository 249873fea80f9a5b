"""The command kernel: specification, parser, registry, dispatcher. It knows no command."""
