-- The login's password has expired (VALID UNTIL): the server refuses it from then on, with the same
-- words as a wrong one.

SELECT format('login %I expired at %s', rolname, rolvaliduntil) AS finding,
    format('ALTER ROLE %I VALID UNTIL ''infinity''', rolname) AS remedy
FROM pg_roles
WHERE rolname = :'login' AND rolvaliduntil <= now();
