# One image: the dashboard by default, or any command line of the project.
#   docker build -t softh .
#   docker run -p 8501:8501 -v softh-decks:/app/data/decks -v softh-runs:/app/data/runs -v softh-cache:/app/cache softh
#   docker run -v softh-runs:/app/data/runs -v softh-cache:/app/cache softh softh estimate MODEL
FROM python:3.11-slim

ENV PYTHONUNBUFFERED=1 PYTHONDONTWRITEBYTECODE=1
WORKDIR /app

COPY requirements.txt .
RUN pip install --no-cache-dir -r requirements.txt

RUN useradd --create-home --uid 1000 softh && chown softh:softh /app
COPY --chown=softh:softh . .
RUN mkdir -p data/runs data/decks data/jobs data/uploads data/texts cache && chown -R softh:softh data cache

USER softh
VOLUME ["/app/data/runs", "/app/data/decks", "/app/data/jobs", "/app/data/uploads", "/app/data/texts", "/app/cache"]
EXPOSE 8501
HEALTHCHECK --interval=30s --timeout=5s --start-period=20s \
    CMD ["python", "-c", "import urllib.request; urllib.request.urlopen('http://127.0.0.1:8501/_stcore/health', timeout=4)"]

ENTRYPOINT ["python", "-m"]
# Inside the container localhost would be reachable by nobody; publish the port on an address of your choice.
CMD ["streamlit", "run", "app.py", "--server.address=0.0.0.0"]
