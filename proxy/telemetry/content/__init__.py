"""What was asked and answered, on spans and in events: only where a variable asks for it."""
