"""What stands between a server and the site, whichever server it is."""
