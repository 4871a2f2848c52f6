"""The catalog: facts about pictures, files, jobs and spaces, in SQL."""
