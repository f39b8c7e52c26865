"""Other gateways to measure against, in environments of their own."""
