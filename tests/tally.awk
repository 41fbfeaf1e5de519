# Counts test cases in a log: prints "PASSED FAILED SKIPPED".
#
# ctest -V: a check program's closing line "7: 100%: Checks: 12, Failures: 0, Errors: 0" counts its cases; a program without
# one (it crashed, timed out, or is no check program) counts as one. The behaviour runner's line is "cases: P F S".

/^[0-9]+: [0-9]+%: Checks: [0-9]+, Failures: [0-9]+, Errors: [0-9]+/ {
    number = $1 + 0
    checks[number] += $4 + 0
    bad[number] += ($6 + 0) + ($8 + 0)
    next
}

# " 3/12 Test  #3: test_name ........   Passed    0.02 sec"
/^ *[0-9]+\/[0-9]+ +Test +#[0-9]+: / {
    number = $0
    sub(/^[^#]*#/, "", number)
    number += 0
    seen[number] = /   Passed / ? "passed" : /\*\*\*(Skipped|Not Run \(Disabled\))/ ? "skipped" : "failed"
    next
}

/^cases: [0-9]+ [0-9]+ [0-9]+$/ {
    passed += $2
    failed += $3
    skipped += $4
}

END {
    for (number in seen) {
        if (seen[number] == "skipped") {
            skipped++
        } else if (number in checks) {
            passed += checks[number] - bad[number]
            failed += bad[number]
            # Every case passed, and yet the program failed: a sanitizer spoke at its end.
            if (seen[number] == "failed" && bad[number] == 0) failed++
        } else if (seen[number] == "passed") {
            passed++
        } else {
            failed++
        }
    }
    print passed + 0, failed + 0, skipped + 0
}
