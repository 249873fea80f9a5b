"""The language model: which there are, who may use which, what is asked of them, what it costs."""
