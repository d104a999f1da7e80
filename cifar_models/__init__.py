"""Image classifiers for 32x32 images and how they are trained: torch only, no Ray, no tables, no charts."""
