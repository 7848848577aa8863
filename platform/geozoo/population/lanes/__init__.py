"""The lanes engine: populations of plain stacks on a CPU, the images of a batch side by side in vectors."""
