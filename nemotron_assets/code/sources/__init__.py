"""Where code comes from: repositories, their files, which of them are copies, and how to fetch them again."""
