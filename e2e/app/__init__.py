"""The user's app: it calls models through the official `openai` client and knows no Overspill.

Its only configuration is what the client itself reads from the environment.
"""
