# Loops, integers, strings, dictionaries and objects: loops.py COUNT
import sys


class Counter:
    def __init__(self):
        self.total = 0

    def add(self, value):
        self.total = (self.total * 31 + value) % 1000003


def primes(limit):
    composite = bytearray(limit)
    found = []
    for number in range(2, limit):
        if not composite[number]:
            found.append(number)
            for multiple in range(number * number, limit, number):
                composite[multiple] = 1
    return found


def words(count):
    counts = {}
    for number in range(count):
        word = "word%d" % (number * number % 257)
        counts[word] = counts.get(word, 0) + len(word)
    return sorted(counts.items())


counter = Counter()
for _ in range(int(sys.argv[1])):
    for prime in primes(5000):
        counter.add(prime)
    for word, count in words(3000):
        counter.add(count + ord(word[-1]))
print(counter.total)
