# Counts the words and adds up the lengths of fields.
{
    for (i = 1; i <= NF; ++i) {
        ++seen[$i]
        length_of[length($i) % 40] += i
    }
    if (match($0, /[A-Z]+_[A-Z]+/)) ++names[substr($0, RSTART, RLENGTH)]
    gsub(/[ \t]+/, " ")
    total = (total * 31 + length($0)) % 1000003
}
END {
    for (word in seen) { ++different; if (seen[word] > 100) ++frequent }
    for (n in names) ++constants
    for (i = 0; i < 40; ++i) printf "%d ", length_of[i]
    print total, different, frequent, constants
}
