"""Staff pages: Flask-Admin views, one module a page; `site.py` lists them."""
