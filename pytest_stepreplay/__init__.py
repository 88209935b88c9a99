"""Record real chat completions once, replay them offline, and see what differs."""
