"""Who are you, and may you: identity, permissions, rates. Every face asks here and only here."""
