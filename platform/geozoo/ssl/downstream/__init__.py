"""What small labelled sets make of an encoder: read-outs, fine-tuning, training from nothing, over label fractions."""
