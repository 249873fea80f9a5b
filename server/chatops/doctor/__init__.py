"""``chatops doctor``: looks at every setting and connection and says what to do."""
