# SPDX-License-Identifier: Apache-2.0
"""
variant.py: a variant of a lab for each student: the helpers that the skeleton keeps have names of
their own, by a number.

    map_block()    in the tree
    map_block_qk4()    in variant 7, in its handout and in its hints

So a solution that was copied from another variant does not compile, or has the other one's names;
check --variant finds both.
"""
import hashlib
import re

from course import cut

SUFFIX = r"_[a-z]{2}[0-9]"


def suffix(number):
    """The end of the names of a variant."""
    digest = hashlib.sha256(f"samepage lab variant {number}".encode()).digest()
    return f"_{chr(97 + digest[0] % 26)}{chr(97 + digest[1] % 26)}{digest[2] % 10}"


def is_static(text, line):
    """Does `static` stand at the function named on this line?"""
    lines = text.split("\n")[max(line - 2, 0) : line]
    return any(re.match(r"(__attribute__\S+ )?static ", one) for one in lines)


def helpers(lab):
    """The static functions that the skeleton keeps, by file, without names of another use."""
    found = {}
    for path in lab.files:
        if not path.endswith(".c"):
            continue
        text = cut.whole(path)
        taken = {one.function for one in lab.cut if not one.keep}
        names = {name for (name, kind), (first, _) in cut.functions_of(text).items()
                 if kind == "f" and name not in taken and "_" in name and is_static(text, first)}
        found[path] = sorted(name for name in names
                             if not re.search(rf"(\.|->){name}\b|struct {name}\b", text))
    return found


def rename(text, names, number):
    """The text with a variant's names."""
    if not names:
        return text
    return re.sub(rf"\b({'|'.join(names)})\b", rf"\1{suffix(number)}", text)


def rename_words(text, labs, number):
    """
    The same for a handout or a hint, which may speak of any file of these labs. The files may have
    the variant's names already.
    """
    names = sorted({re.sub(f"{SUFFIX}$", "", name)
                    for lab in labs for found in helpers(lab).values() for name in found})
    return rename(text, names, number)


def complaints(lab, files, number):
    """Files that are of another variant: path -> a sentence."""
    found, mine = {}, suffix(number)
    for path, names in helpers(lab).items():
        if not names or path not in files:
            continue
        either = "|".join(names)
        foreign = {name for name in re.findall(rf"\b(?:{either}){SUFFIX}\b", files[path])
                   if not name.endswith(mine)}
        plain = set(re.findall(rf"\b(?:{either})\b", files[path]))
        if foreign or plain:
            words = ", ".join(sorted(foreign | plain)[:4])
            found[path] = (f"{path} is not of variant {number}, with helpers that end in {mine}: "
                           f"it has {words}")
    return found
