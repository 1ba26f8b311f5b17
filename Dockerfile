# One image: the dashboard by default, or any command line of the project. compose.yaml runs it with a worker.
#   docker build -t softh .
#   docker run --read-only --tmpfs /tmp -p 127.0.0.1:8501:8501 -v softh-data:/app/data -v softh-cache:/app/cache softh
#   docker run --read-only --tmpfs /tmp -v softh-data:/app/data -v softh-cache:/app/cache softh softh estimate MODEL
# .ci/image.py takes these steps one by one where no engine runs.
FROM python:3.11-slim

ENV PYTHONUNBUFFERED=1 PYTHONDONTWRITEBYTECODE=1 HF_HOME=/app/cache/hub TRITON_CACHE_DIR=/app/cache/triton
WORKDIR /app

COPY requirements.txt .
RUN pip install --no-cache-dir -r requirements.txt

# The program is root's and nobody writes to it; only what is kept and what is remembered is the user's.
COPY . .
RUN useradd --create-home --uid 1000 softh && mkdir -p data/runs cache && chown -R softh:softh data cache

USER softh
VOLUME ["/app/data", "/app/cache"]
EXPOSE 8501
HEALTHCHECK --interval=30s --timeout=5s --start-period=30s \
    CMD ["python", "-c", "import urllib.request; urllib.request.urlopen('http://127.0.0.1:8501/health', timeout=4)"]

ENTRYPOINT ["python", "-m"]
# Inside the container localhost would be reachable by nobody; publish the port on an address of your choice.
CMD ["streamlit", "run", "server.py", "--server.address=0.0.0.0"]
