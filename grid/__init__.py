"""Questions asked of image classifiers: planned, trained by Ray Tune, recorded, analysed and reported."""
