"""What knows the window as a whole: it joins the views to the session and to the store."""
