"""How nodes hear of each other: over Redis, or not at all."""
