"""Files on disk: folders, probing, pictures, subtitles. The only package that imports guessit and PyAV.

Services call it from worker threads; it knows no database.
"""
