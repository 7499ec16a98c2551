"""What names of files and folders say: title, year, season and episode numbers, part, edition, external ids.

Use `filenames.parse`. It asks `extras` first (is it an item at all?), then `movies` or `episodes`. These use tables of
rules (`numbering`, `parts`), each with a name and an example, tried from top to bottom. `show_folders` tells which
folder is the show's, `releases` where a title ends, `text` cleans it. `guessing` asks guessit for technical words,
once for each shape of names (`shapes`). `playhead name` shows which rule has read a name.
"""
