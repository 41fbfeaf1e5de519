"""rules.py - the house rules a machine can check: banned calls, lengths, opening comments, words that mean "later" or "look away"."""
import re

from source import Finding, code_only, is_c, line_of, read, without_directives

FILE_WARN_LINES = 400
FILE_MOST_LINES = 600
FUNCTION_MOST_LINES = 60

# name: (why, where it is allowed all the same)
BANNED_CALLS = {
    "strcpy": ("unbounded", ()),
    "strcat": ("unbounded", ()),
    "sprintf": ("unbounded: snprintf", ()),
    "vsprintf": ("unbounded: vsnprintf", ()),
    "gets": ("unbounded", ()),
    "sscanf": ("silent overflow: write a parser", ()),
    "atoi": ("no error: strtoull with a check", ()),
    "atol": ("no error: strtoull with a check", ()),
    "strtok": ("hidden state: strsep", ()),
    "alloca": ("unbounded stack", ()),
    "gmtime": ("hidden state: gmtime_r", ()),
    "localtime": ("hidden state, local time zone", ()),
    "strerror": ("hidden state: strerror_r", ("tests/",)),
    "getenv": ("the environment is read by the process only", ("server/", "tests/")),
    "assert": ("gone in release builds: MUST", ()),
    "abort": ("MUST is the one way to stop", ("pools/base/must.c",)),
}

# Split, so that this file does not hold the words itself.
LATER_WORDS = ["TO" "DO", "FIX" "ME", "X" "XX"]
SUPPRESSIONS = ["NO" "LINT", "cppcheck" "-suppress", "no_" "sanitize", "GCC dia" "gnostic", "clang dia" "gnostic"]

TEXT_ENDINGS = (".c", ".h", ".cpp", ".py", ".sh", ".txt", ".md", ".yaml", ".json", ".cmake")

_CALL = re.compile(r"(?<![\w.>])(" + "|".join(BANNED_CALLS) + r")\s*\(")
_LATER = re.compile(r"\b(" + "|".join(LATER_WORDS) + r")\b")
_SUPPRESSION = re.compile("|".join(map(re.escape, SUPPRESSIONS)))


def check_banned_calls(path, text):
    code = code_only(text)
    findings = []
    for match in _CALL.finditer(code):
        why, allowed = BANNED_CALLS[match.group(1)]
        if not path.startswith(tuple(allowed) or ("\0",)):
            findings.append(Finding(path, line_of(code, match.start()), "banned-call", f"{match.group(1)}: {why}"))
    return findings


def check_file_length(path, text):
    lines = text.count("\n")
    if lines > FILE_MOST_LINES:
        return [Finding(path, lines, "file-length", f"{lines} lines, at most {FILE_MOST_LINES}")]
    if lines > FILE_WARN_LINES:
        return [Finding(path, lines, "file-length", f"{lines} lines, better below {FILE_WARN_LINES}", is_warning=True)]
    return []


def functions(text):
    """(line of the opening brace, number of lines from it to its end) of every function body."""
    code = without_directives(code_only(text))
    depth, start, found = 0, None, []
    for match in re.finditer(r"[{}]", code):
        if match.group(0) == "{":
            if depth == 0:
                is_function = code[:match.start()].rstrip().endswith(")")
                start = match.start() if is_function else None
            depth += 1
        else:
            depth -= 1
            if depth == 0 and start is not None:
                first, last = line_of(code, start), line_of(code, match.start())
                found.append((first, last - first + 1))
    return found


def check_function_length(path, text):
    return [Finding(path, line, "function-length", f"a function of {lines} lines, at most {FUNCTION_MOST_LINES}")
            for line, lines in functions(text) if lines > FUNCTION_MOST_LINES]


def check_opening_comment(path, text):
    if re.match(r"/\*\s*[^\s*]", text):
        return []
    return [Finding(path, 1, "opening-comment", "a file opens with a comment that says what it is for")]


def check_words(path, text):
    findings = []
    for match in _LATER.finditer(text):
        findings.append(Finding(path, line_of(text, match.start()), "later", f"'{match.group(0)}': do it or leave it"))
    for match in _SUPPRESSION.finditer(text):
        findings.append(Finding(path, line_of(text, match.start()), "suppression",
                                f"'{match.group(0)}': mend the code or argue in .clang-tidy"))
    return findings


C_CHECKS = [check_banned_calls, check_file_length, check_function_length, check_opening_comment]


def check(root, paths):
    findings = []
    for path in paths:
        if path.endswith(TEXT_ENDINGS):
            text = read(root, path)
            findings += check_words(path, text)
            if is_c(path):
                for rule in C_CHECKS:
                    findings += rule(path, text)
    return findings
