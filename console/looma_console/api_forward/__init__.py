"""The one address: `/api/v1/...` goes on to the engine whose AIService names the longest fitting prefix."""
