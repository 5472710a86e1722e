-- A small shop: filled, indexed, joined, grouped, changed. The parameter :rows says how large it is.
PRAGMA journal_mode = MEMORY;
CREATE TABLE item (id INTEGER PRIMARY KEY, name TEXT, price INTEGER);
CREATE TABLE sale (id INTEGER PRIMARY KEY, item INTEGER, day INTEGER, count INTEGER);
BEGIN;
WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 1000)
INSERT INTO item SELECT i, printf('item %d of %x', i, i * 7919 % 65536), i * 37 % 991 FROM n;
WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < :rows)
INSERT INTO sale SELECT i, i * 7919 % 1000 + 1, i * 31 % 365, i % 9 FROM n;
COMMIT;
CREATE INDEX sale_item ON sale (item, day);
SELECT sum(count * price) FROM sale JOIN item ON item.id = sale.item WHERE day BETWEEN 100 AND 200;
SELECT name, sum(count) AS sold FROM item JOIN sale ON sale.item = item.id GROUP BY item.id ORDER BY sold DESC, name LIMIT 20;
SELECT count(*), sum(length(name)) FROM item WHERE name LIKE '%a%7%';
UPDATE sale SET count = count + 1 WHERE item % 3 = 0;
DELETE FROM sale WHERE day % 5 = 0;
SELECT day, count(*), avg(count) FROM sale GROUP BY day ORDER BY day LIMIT 50;
