"""From bars and signals to an equity curve: indicators and the simulation behind one interface."""
