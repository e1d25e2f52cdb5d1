-- The connection's SSL mode insists on SSL, and the server offers none: no connection comes about.

SELECT format('ssl is off, and the connection asks for SSL mode %s', :'ssl_mode') AS finding,
    'ALTER SYSTEM SET ssl = on; with a certificate, then reload' AS remedy
WHERE current_setting('ssl') = 'off'
    AND :'ssl_mode' IN ('Require', 'Verify Ca', 'Verify Full', 'Verify-Ca', 'Verify-Full');
