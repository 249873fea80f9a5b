"""The smallest Chainlit app: it says what it hears, and stores nothing."""

import chainlit as cl


@cl.on_message
async def echo(message: cl.Message) -> None:
    """Answer with the message."""
    await cl.Message(content=f"echo: {message.content}").send()
