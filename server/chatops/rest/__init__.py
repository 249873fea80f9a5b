"""The HTTP face: health, results and their files, exports, the front page."""
