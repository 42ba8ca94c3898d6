"""The workbook: inputs, months, answers and checks, with live formulas."""
