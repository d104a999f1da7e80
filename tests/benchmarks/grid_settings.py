"""The small grid of CIFAR-10: the same numbers for ours and for its peer, and the final network of the report."""

RATES = (0.001, 0.002, 0.005, 0.01)
EPOCHS = 2
BATCH_SIZE = 256
NUM_TRAIN = 4000
NUM_VAL = 1000
"""As the tutorial divides what it trains on: four fifths, and one to validate on."""
NUM_TEST = 1000
