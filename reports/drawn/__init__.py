"""What is drawn: charts, pictures and the pages of the PDF."""
