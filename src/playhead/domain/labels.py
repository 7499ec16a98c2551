"""Makes the labels of an item's files distinct, by what differs between the files or by their names. Pure."""

import re
from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from itertools import pairwise
from typing import Final

from playhead.domain.catalogue import MediaFile, codec_name, version_preference
from playhead.domain.texts import LABEL, clean_text

_MS_PER_MINUTE: Final = 60_000
_LAYOUTS: Final = {1: "1.0", 2: "2.0", 6: "5.1", 8: "7.1"}  # usual names of channel layouts, by number of channels
_NUMBER_MAX: Final = 10  # characters
_SEPARATORS: Final = re.compile(r"[\s._/,()\[\]{}-]+")


def ordered_versions(files: Iterable[MediaFile]) -> list[MediaFile]:
    """Return an item's files, the default one first, with labels that distinguish them.

    Files with the same label get what tells them apart: the sound, the languages, the container, the length in minutes,
    else the part of the path in which they differ. Parts keep a common label per version, so only what is the same in
    all parts of a version counts for them.
    """
    ordered = sorted(files, key=version_preference)
    labels = {file.id: file.label for file in ordered}
    for same in _colliding(ordered):
        labels |= {file.id: file.label for file in _distinguished(same, _FEATURES)}
    return [replace(file, label=labels[file.id]) for file in ordered]


def _distinguished(same: Sequence[MediaFile], features: Sequence[Callable[[MediaFile], str]]) -> list[MediaFile]:
    """Return files with one label under distinct labels, as far as these features and their paths allow it."""
    if not features:
        return list(same) if any(file.part is not None for file in same) else _by_path(same)
    feature, *others = features
    labelled = _with_words(same, [feature(file) for file in same])
    settled = {file.id: file for file in labelled}
    for colliding in _colliding(labelled):
        settled |= {file.id: file for file in _distinguished(colliding, others)}
    return list(settled.values())


def _with_words(same: Sequence[MediaFile], words: Sequence[str]) -> list[MediaFile]:
    """Append words to the labels of files, unless they are the same for all."""
    if len(set(words)) == 1:
        return list(same)
    return [
        replace(file, label=clean_text(f"{file.label} {word}", LABEL)) for file, word in zip(same, words, strict=True)
    ]


def _by_path(same: Sequence[MediaFile]) -> list[MediaFile]:
    labelled = _with_words(same, _differences(same))
    numbered: list[MediaFile] = []
    seen: dict[str, int] = defaultdict(int)
    for file in labelled:
        seen[file.label] += 1
        number = seen[file.label]
        numbered.append(
            file if number == 1 else replace(file, label=f"{file.label[: LABEL.characters - _NUMBER_MAX]} ({number})")
        )
    return numbered


def _differences(same: Sequence[MediaFile]) -> list[str]:
    """Return the words of each path, without extension, that are not common to all at its beginning or end."""
    paths = [_words(file.path.rpartition(".")[0] or file.path) for file in same]
    shortest = min(len(words) for words in paths)
    folded = [[word.casefold() for word in words] for words in paths]
    begin = next((at for at in range(shortest) if len({words[at] for words in folded}) > 1), shortest)
    rest = range(1, shortest - begin + 1)
    end = next((at - 1 for at in rest if len({words[-at] for words in folded}) > 1), shortest - begin)
    known = {word.casefold() for word in same[0].label.split()}
    return [
        _joined([word for word in words[begin : len(words) - end] if word.casefold() not in known], file.path)
        for words, file in zip(paths, same, strict=True)
    ]


def _joined(words: Sequence[str], path: str) -> str:
    """Join words of a path by the hyphens that it has between them (`WEB-DL`), else by spaces."""
    text = "".join(f"{'-' if f'{last}-{word}' in path else ' '}{word}" for last, word in pairwise(("", *words)))
    return text[1:]


def _words(path: str) -> list[str]:
    return [word for word in _SEPARATORS.split(path) if word]


def _colliding(files: Sequence[MediaFile]) -> list[list[MediaFile]]:
    """Return the groups of files with the same label in which at least one part has several files."""
    groups: dict[str, list[MediaFile]] = defaultdict(list)
    for file in files:
        groups[file.label].append(file)
    return [same for same in groups.values() if len({file.part for file in same}) < len(same)]


def _sound(file: MediaFile) -> str:
    sounds = [stream for stream in file.streams if stream.kind == "audio"]
    if not sounds:
        return ""
    first = next((stream for stream in sounds if stream.default), sounds[0])
    channels = first.channels or 0
    return f"{codec_name(first.codec)} {_LAYOUTS.get(channels, f'{channels} ch')}"


def _languages(file: MediaFile) -> str:
    return "+".join(sorted({stream.language for stream in file.streams if stream.kind == "audio" and stream.language}))


def _extension(file: MediaFile) -> str:
    _, dot, extension = file.path.rpartition("/")[2].rpartition(".")
    return extension.upper() if dot else ""


def _minutes(file: MediaFile) -> str:
    # The lengths of parts differ anyway.
    return f"{round(file.duration_ms / _MS_PER_MINUTE)} min" if file.duration_ms and file.part is None else ""


_FEATURES: Final = (_sound, _languages, _extension, _minutes)
