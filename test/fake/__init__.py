"""The fake Flow Service of aep's tests; flow_service.py is its command line."""
