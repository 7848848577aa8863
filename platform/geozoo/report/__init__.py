"""What people read about a zoo: its summary, figures and card."""
