"""What is made of an equity curve: figures, charts and comparisons."""
