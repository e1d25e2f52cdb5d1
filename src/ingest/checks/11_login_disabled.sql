-- The login may not log in, as after ALTER ROLE ... NOLOGIN: every connection is refused.

SELECT format('login %I may not log in', rolname) AS finding,
    format('ALTER ROLE %I LOGIN', rolname) AS remedy
FROM pg_roles
WHERE rolname = :'login' AND NOT rolcanlogin;
