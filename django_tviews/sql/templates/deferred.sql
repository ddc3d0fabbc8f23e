PERFORM @{runtime}.django_tviews_defer();
