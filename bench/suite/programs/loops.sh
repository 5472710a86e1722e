# A shell's own loop, without another program: loops.sh COUNT
total=0
i=0
text=
while [ "$i" -lt "$1" ]; do
    i=$((i + 1))
    case $((i % 7)) in
        0) text= ;;
        [1-3]) text=$text$i ;;
        *) text=${text#?} ;;
    esac
    total=$(((total * 31 + ${#text} + i) % 1000003))
done
echo "$total $text"
